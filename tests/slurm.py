"""A SLURM of one machine: the commands that submitit and limo call, as far as SLURM's manual describes what they ask of it.

`install` writes them into a folder for PATH. Every node is 127.0.0.1. A job runs in the background; its script and its state lie
in the folder, and so do the arguments of every srun. A task is a child of the process that stands for srun and has a session of
its own. As on a site with WaitTime=2, srun ends a step two seconds after its first task unless told otherwise, by `--wait` or
SLURM_WAIT. A signal of scancel reaches only tasks, as with proctrack/cgroup; without one, all processes of the job are killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROGRAM = r'''#!{python} -IS
import os, re, signal, subprocess, sys, time
from pathlib import Path
HERE = Path("{here}")
WAIT = 2.0
name, words = Path(sys.argv[0]).name, sys.argv[1:]

def processes(job):
    """Every process whose environment says that it belongs to the job."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"SLURM_JOB_ID={job}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
            except OSError:
                pass

def kill(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

def note(file, text):
    fresh = HERE / f".{file}.{os.getpid()}"
    fresh.write_text(text)
    fresh.replace(HERE / file)

def asked(script):
    pairs = re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script, re.M)
    return {key: value.strip("'") for key, value in pairs}

if name == "sbatch":
    script = Path(words[-1]).read_text()
    if asked(script).get("account") == "nobody":
        sys.exit("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified")
    job = int((HERE / "next").read_text())
    array = re.match(r"0-(\d+)", asked(script).get("array", ""))
    count = int(array[1]) + 1 if array else 0
    note("next", str(job + max(count, 1)))
    note(f"{job}.sh", script)
    for index in range(max(count, 1)):
        own = {"SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_ID": str(index)} if count else {}
        shown = f"{job}_{index}" if count else str(job)
        note(f"{shown}.state", "PENDING")
        subprocess.Popen([HERE / "slurmd", shown, str(HERE / f"{job}.sh")], env=os.environ | own | {"JOB": str(job + index)},
                         start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"Submitted batch job {job}")

if name == "slurmd":  # runs one job, again when it was requeued
    shown, script = words
    how, job = asked(Path(script).read_text()), os.environ.pop("JOB")
    nodes = how.get("nodes", "1")
    env = os.environ | {
        "SLURM_JOB_ID": job, "SLURM_JOBID": job, "SLURM_JOB_NUM_NODES": nodes, "SLURM_NNODES": nodes, "SLURM_JOB_NAME": how["job-name"],
        "SLURM_NTASKS_PER_NODE": how.get("ntasks-per-node", "1"), "SLURM_JOB_NODELIST": ",".join(["127.0.0.1"] * int(nodes)),
        "SLURM_CPU_BIND": "quiet,mask_cpu:0x1", "SLURM_EXPORT_ENV": "NONE",
    }
    for turn in range(5):
        note(f"{shown}.state", "RUNNING")
        batch = subprocess.Popen(["bash", script], env=env | {"SLURM_RESTART_COUNT": str(turn)}, start_new_session=True)
        while batch.poll() is None and not (HERE / f"{shown}.requeue").exists():
            time.sleep(0.1)
        state = (HERE / f"{shown}.state").read_text()
        for _ in range(6000):  # a requeued job has some time to end by itself
            if batch.poll() is None:
                time.sleep(0.1)
        kill(processes(job), signal.SIGKILL)  # and so do processes that a job leaves behind
        code = batch.wait()
        if not (HERE / f"{shown}.requeue").exists():
            note(f"{shown}.state", state if "CANCELLED" in state else "FAILED" if code else "COMPLETED")
            break
        (HERE / f"{shown}.requeue").unlink()

if name == "srun":
    options, job = dict(os.environ), os.environ["SLURM_JOB_ID"]
    note(f"{job}.{time.time_ns()}.srun", "\n".join(words))
    nodes, per, count = os.environ["SLURM_JOB_NUM_NODES"], os.environ["SLURM_NTASKS_PER_NODE"], None
    output = error = None
    wait, hard = os.environ.get("SLURM_WAIT"), False
    while words and words[0].startswith("-"):
        key, _, value = words.pop(0).partition("=")
        if key in ("--output", "--error"):
            value = words.pop(0)
        nodes = value if key == "--nodes" else nodes
        count = value if key == "--ntasks" else count
        per = value if key == "--ntasks-per-node" else per
        output = value if key == "--output" else output
        error = value if key == "--error" else error
        wait = value if key == "--wait" else wait
        hard = hard or key == "--kill-on-bad-exit"
        assert key in ("--nodes", "--ntasks", "--ntasks-per-node", "--output", "--error", "--wait", "--kill-on-bad-exit",
                       "--unbuffered", "--overlap", "--cpu-bind", "--export"), key
    if int(nodes) > int(os.environ["SLURM_JOB_NUM_NODES"]):
        sys.exit("srun: error: Only allocated " + os.environ["SLURM_JOB_NUM_NODES"] + " nodes asked for " + nodes)
    tasks = []
    for rank in range(int(count or int(nodes) * int(per))):
        place = {"SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank // int(per)), "SLURM_LOCALID": str(rank % int(per)),
                 "SLURM_NTASKS": str(count or int(nodes) * int(per))}
        array = os.environ.get("SLURM_ARRAY_JOB_ID", "") + "_" + os.environ.get("SLURM_ARRAY_TASK_ID", "")
        def opened(pattern):
            if pattern is None:
                return None
            master, _, index = array.partition("_")
            for mark, value in (("%j", job), ("%A", master), ("%a", index), ("%t", str(rank))):
                pattern = pattern.replace(mark, value)
            while not Path(pattern).parent.is_dir():  # submitit makes it after sbatch has answered; SLURM takes longer to start
                time.sleep(0.05)
            return open(pattern, "ab")
        tasks.append(subprocess.Popen(words, env=os.environ | place, start_new_session=True, stdout=opened(output), stderr=opened(error)))
        note(f"{job}.{tasks[-1].pid}.task", str(rank))

    def end(*_):
        kill([task.pid for task in tasks if task.poll() is None], signal.SIGKILL)
        sys.exit(143)
    signal.signal(signal.SIGTERM, end)
    first = None
    while any(task.poll() is None for task in tasks):
        ended = [task.poll() for task in tasks if task.poll() is not None]
        first = first or (time.monotonic() if ended else None)
        late = first and wait != "0" and time.monotonic() - first > WAIT
        if late or hard and any(ended):
            kill([task.pid for task in tasks if task.poll() is None], signal.SIGKILL)
        time.sleep(0.05)
    sys.exit(max(abs(task.wait()) for task in tasks))

if name == "sacct":
    print("JobID|State|NodeList")
    for file in HERE.glob("*.state"):
        print(f"{file.stem}|{file.read_text()}|127.0.0.1")

if name == "scontrol":
    if words[:2] == ["show", "hostnames"]:
        print("\n".join(words[2].split(",")))
    elif words[0] == "requeue":
        note(f"{words[1]}.state", "REQUEUED")
        note(f"{words[1]}.requeue", "")

if name == "scancel":
    job = words[-1]
    if words[0].startswith("--signal="):
        number = signal.Signals["SIG" + words[0].partition("=")[2]]
        kill([int(file.name.split(".")[1]) for file in HERE.glob(f"{job}.*.task")], number)
    else:
        shown = os.environ.get("SLURM_ARRAY_JOB_ID", "") + "_" + os.environ.get("SLURM_ARRAY_TASK_ID", "")
        note(f"{shown if len(shown) > 1 else job}.state", "CANCELLED by 0")
        kill(processes(job), signal.SIGKILL)
'''


def install(folder: Path) -> dict[str, str]:
    """Write the commands into `folder`; gives the environment variables that put them first."""
    folder.mkdir(parents=True)
    program = folder / "slurmd"
    program.write_text(PROGRAM.replace("{python}", sys.executable).replace("{here}", str(folder)))
    program.chmod(0o755)
    for name in ("sbatch", "srun", "sacct", "scontrol", "scancel"):
        (folder / name).symlink_to(program)
    (folder / "next").write_text(str(os.getpid() * 10))
    return {"PATH": f"{folder}:{os.environ['PATH']}"}
