"""What huggingface's own client sees of a dataset: run by hub_client.ts against the tests' hub, and comparable with the
real one. huggingface_hub 2.4.0: pip install huggingface_hub; HF_ENDPOINT=... python hub_client.py OWNER/NAME PATTERN"""
import hashlib
import json
import sys

from huggingface_hub import HfApi, HfFileSystem, hf_hub_download

repo, pattern = sys.argv[1:]
files = HfFileSystem()
info = HfApi().dataset_info(repo)
seen = []
for path in sorted(files.glob(f"hf://datasets/{repo}@{info.sha}/{pattern}")):
    with files.open(path, "rb") as file:
        streamed = hashlib.sha256(file.read()).hexdigest()
    in_repo = path.split("/", 3)[3] if "@" in path.split("/")[2] else path.split("/", 3)[3]
    downloaded = hf_hub_download(repo, in_repo, repo_type="dataset", revision=info.sha)
    whole = hashlib.sha256(open(downloaded, "rb").read()).hexdigest()
    seen.append({"path": in_repo, "bytes": files.info(path)["size"], "streamed": streamed, "downloaded": whole})
print(json.dumps({"sha": info.sha, "files": seen}))
