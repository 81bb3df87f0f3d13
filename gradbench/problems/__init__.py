"""Cases, and the differentiation problems that they make."""
