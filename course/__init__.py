"""TEACH: problem sets, what students get, answers whose worth is known, and the grader."""
