"""Measuring: errors, time, memory and circumstances, each a pass of its own."""
