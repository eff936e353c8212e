"""The book: its chapters executed, its pages rendered."""
