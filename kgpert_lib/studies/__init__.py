"""What only one chapter of the book needs: its tables and figures."""
