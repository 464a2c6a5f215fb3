"""Two people chat by a client that a public generator made from the description."""

import sys

from veche_client import AuthenticatedClient, Client
from veche_client.api.core import get_events, get_unread, post_connect, post_read, post_send
from veche_client.models import Connect, Connected, Message, Problem, Read, Send

URL = sys.argv[1]


def join(name):
    """Connects, and gives the user's client and the cursor from which on to listen."""
    connected = post_connect.sync(client=Client(base_url=URL), body=Connect(name=name))
    assert isinstance(connected, Connected), connected
    user = AuthenticatedClient(base_url=URL, token=connected.token)
    return user.with_headers({"Accept": "application/json"}), connected.cursor


ann, _ = join("ann")
bob, cursor = join("bob")

sent = post_send.sync(client=ann, body=Send(to="@bob", text="Hello from Python"))
assert isinstance(sent, Message), sent
assert (sent.from_, sent.to, sent.text) == ("ann", "@bob", "Hello from Python"), sent

unread = get_unread.sync(client=bob)
assert [message.text for message in unread.messages] == ["Hello from Python"], unread

told = get_events.sync(client=bob, after=cursor, wait="10s")
messages = [event.data for event in told.events if event.event == "message"]
assert [message["id"] for message in messages] == [sent.id], told

assert post_read.sync_detailed(client=bob, body=Read(chat="@ann")).status_code == 204
assert get_unread.sync(client=bob).messages == []

refused = post_send.sync(client=ann, body=Send(to="@nobody", text="Hello"))
assert isinstance(refused, Problem) and refused.code == "unknown_chat", refused

print("sent and received")
