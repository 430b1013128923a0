# A BitTorrent client of others' making: TORRENT FOLDER LISTEN
# Prints how far it is as a line of JSON, ten times a second, and what it sees
# of others to stderr. Ends when its standard input does.
import collections
import json
import select
import sys

import libtorrent as lt

torrent, folder, listen = sys.argv[1:]
session = lt.session({
    "listen_interfaces": listen,
    # Who is there is the tracker's to say, and its address says all of a host.
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    # It tries uTP first, which crow does not have, and gives up after four seconds.
    "enable_outgoing_utp": False,
    "alert_mask": lt.alert.category_t.tracker_notification | lt.alert.category_t.connect_notification
    | lt.alert.category_t.error_notification,
})
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
received = {}  # bytes, by connection

while not select.select([sys.stdin], [], [], 0.1)[0]:
    for alert in session.pop_alerts():
        print(type(alert).__name__, alert.message(), file=sys.stderr, flush=True)
    for peer in handle.get_peer_info():
        received[peer.ip, peer.pid.to_bytes()] = peer.total_download
    by_client = collections.Counter()  # peer IDs begin with the name of a client (BEP 20)
    for (_, peer_id), n in received.items():
        by_client[peer_id[:7].decode("latin-1")] += n
    status = handle.status()
    print(json.dumps({
        "complete": status.is_seeding, "sent": status.total_payload_upload,
        "seeder": by_client["-CRS01-"], "hosts": by_client["-CRP01-"],
    }), flush=True)
