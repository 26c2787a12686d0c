"""The grader: scores notebooks of people you do not know, without a server or a database.

`python -m course.grading SUBMISSIONS` (or `make grade SUBMISSIONS=folder`). What is trusted and
what is not:

- `inside` runs in the sandbox, with the student's code, and never sees a test.
- everything else runs outside: `folder` says what is to be graded, `problems` reads the sources,
  `submissions` the notebooks, `ways` chooses how a process is held here, `interpreter` copies
  Python where it must, `confine` says what a process may use, `sandbox` holds it, `student` talks
  to it, `score` runs the tests, `pool` does so for several at a time, `report` writes what people
  read.
"""
