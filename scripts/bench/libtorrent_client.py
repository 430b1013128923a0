# One libtorrent client, run by bench: TORRENT FOLDER MARK BOOKS seed|peer
# Writes MARK when it has the file; on SIGTERM writes to BOOKS what it sent and
# what came twice, in bytes, and ends.
import json
import signal
import sys
import time

import libtorrent as lt

torrent, folder, mark, books, part = sys.argv[1:]
stopping = False


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)

# libtorrent's own preset for fast networks, then what a fleet in a datacenter
# has no use for: other ways to find peers, uTP, encryption, slow ramp-up.
settings = lt.high_performance_seed()
settings.update({
    "listen_interfaces": "0.0.0.0:51413",
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_utp": False, "enable_incoming_utp": False,
    "out_enc_policy": 2, "in_enc_policy": 2,  # none
    "torrent_connect_boost": 200, "min_reconnect_time": 2,
    "min_announce_interval": 1,
    "alert_mask": 0,
})
if part == "seed":
    settings["unchoke_slots_limit"] = 8  # its default: one that serves all at once is late with every piece
session = lt.session(settings)
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})

marked, announced = False, time.monotonic()
while not stopping:
    done = handle.status().is_seeding
    if done and not marked:
        open(mark, "w").close()
        marked = True
    # A peer goes on asking for others until it is done, as crow's do.
    if not done and time.monotonic() - announced > 1:
        handle.force_reannounce()
        announced = time.monotonic()
    time.sleep(0.02)

status = handle.status()
with open(books, "w") as f:
    json.dump({"sent": status.total_payload_upload,
               "wasted": status.total_redundant_bytes + status.total_failed_bytes}, f)
