"""For authors of estimators: faults that a run must survive."""
