"""PerturbQA's questions: does a knock-down change a readout gene, and in which direction?"""
