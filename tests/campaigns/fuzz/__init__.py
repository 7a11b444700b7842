"""
Does anything but our own errors come out of the readers of foreign data? Targets for fuzzing.

Each target turns bytes into input of one kind, and checks what is read. The
bytes come from hypothesis in the ordinary tests (``test_fuzz``), and from
libFuzzer, guided by coverage, in the campaign (``python -m tests.campaigns.fuzz``).
"""
