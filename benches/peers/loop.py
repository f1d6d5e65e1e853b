"""The peer of the cost bench: queries in a loop with ntplib, and a CSV line for each."""

import sys

import ntplib

path, exchanges, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
addresses = sys.stdin.read().split()
client = ntplib.NTPClient()
with open(path, "w", encoding="ascii") as csv:
    for i in range(exchanges):
        address = addresses[i % len(addresses)]
        reply = client.request(address, version=4, port=port)
        csv.write(f"bench,{address},sample,{reply.offset},{reply.delay},{reply.stratum}\n")
