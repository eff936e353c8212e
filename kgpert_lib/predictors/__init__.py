"""What predicts the delta of a knock-down that was not measured."""
