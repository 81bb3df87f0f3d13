"""Two runs compared, or a run with a baseline: right, as accurate, as fast, as small?"""
