"""A bundle for QuPath with files made here; the real jar is used in tests/packaging."""

from wsisam_server.qupath import Bundle


def make_bundle(folder, version, scripts=("WsiSamClicks", "WsiSamAnnotate")):
    folder.mkdir(parents=True)
    jar = folder / f"wsisam-qupath-client-{version}.jar"
    jar.write_bytes(f"jar {version}".encode())
    files = []
    for name in scripts:
        script = folder / f"{name}.groovy"
        script.write_text(f"// {name} {version}\n", encoding="utf-8")
        files.append(script)
    return Bundle(jar, tuple(files))
