"""The program that reads and writes QuPath's data files, with QuPath's own classes, through paquo.

Licences. paquo and QuPath are GPL-3.0; wsisam is Apache-2.0 and must stay so for those who use neither. So paquo is an
optional extra (`pip install ".[sync]"`), and this package is a program of its own: `python -m
wsisam_server.annotations.sync.runner` is started as a separate process, by those who installed that extra, and answers
requests over its standard input and output. It imports nothing of wsisam, and of wsisam nothing imports paquo but
`qupath`, here, which is kept as small as it can be. These sources are Apache-2.0; whoever passes them on together with
paquo or QuPath passes on a whole that is under GPL-3.0.

`wire` is how requests and answers look; `qupath` starts QuPath's Java; `data_file` and `objects` read and write with
it; `serve` answers.
"""
