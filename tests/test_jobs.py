"""The job files of docs/jobs can be read by those whom they are for."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

JOBS = Path(__file__).parents[1] / "docs" / "jobs"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_slurm_job_is_a_shell_script_with_directives() -> None:
    path = JOBS / "slurm.sh"
    checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    lines = path.read_text().splitlines()
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH --")]
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert len(directives) >= 6
    assert max(directives) < first  # later ones are ignored
    assert "gancli train" in path.read_text()


def test_the_kubernetes_job_is_two_documents_that_fit_together() -> None:
    service, job = yaml.safe_load_all((JOBS / "kubernetes.yaml").read_text())
    assert (service["kind"], job["kind"], job["apiVersion"]) == ("Service", "Job", "batch/v1")
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    words = container["args"]
    name = job["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    assert pod["subdomain"] == service["metadata"]["name"]
    assert f"--nnodes={spec['completions']}" in words
    assert f"--rdzv-endpoint={name}-0.{pod['subdomain']}:29500" in words
    assert f"--nproc-per-node={container['resources']['limits']['nvidia.com/gpu']}" in words
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
