"""Values of the tests of encoders: what may have been found out on some machine."""

from wsisam_server.inference.encoders.finding import Conditions, Size

FASTER = Size(torch=0.5, openvino=0.3, ratio=0.6, difference=1e-6, sha256="")
SLOWER = Size(torch=0.3, openvino=0.5, ratio=1.7, difference=1e-6, sha256="")
CONDITIONS = Conditions("e" * 64, "2026.4.1", "2.9.0", "p" * 64, 2, "float32")
