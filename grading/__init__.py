"""The grader: scores notebooks of people you do not know, without a server or a database.

`python -m grading SUBMISSIONS` (or `make grade SUBMISSIONS=folder`). What is trusted and what is not:

- `inside` runs in the sandbox, with the student's code, and never sees a test.
- everything else runs outside: `problems` reads the sources, `submissions` the notebooks, `sandbox` confines,
  `student` talks to the process inside, `score` runs the tests, `report` writes what people read.
"""
