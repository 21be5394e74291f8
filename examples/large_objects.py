"""A zip archive that is written into and read from a large object, without a copy of it in memory.

    python examples/large_objects.py [postgresql://user@host:port/database]
"""

import io
import sys
import zipfile

import febe


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        oid = connection.create_large_object()
        with connection.large_object(oid, "w+") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(3):
                archive.writestr(f"part {number}.txt", f"this is part {number}\n" * 1000)

        with connection.large_object(oid) as file:
            print(file.seek(0, io.SEEK_END) < 3000, "bytes where the parts are 57000")
            with zipfile.ZipFile(file) as archive, archive.open("part 1.txt") as part:
                print(archive.namelist(), part.readline())

        # What fails leaves the large object as it was.
        try:
            with connection.large_object(oid, "w") as file:
                file.write(b"half of it")
                raise RuntimeError("the source broke off")
        except RuntimeError as error:
            print(error)
        with connection.large_object(oid) as file:
            print("still an archive:", zipfile.is_zipfile(file))
        connection.unlink_large_object(oid)


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["postgresql://demo@127.0.0.1:5433/demo"])
