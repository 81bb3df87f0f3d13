"""What is differentiated: cases, and the problems that they make."""
