#!/usr/bin/env bash
# healthy.sh PORT [PATH]: 0 when PORT accepts a connection, and PATH is answered with 200.
# In bash alone, because the images that run it share neither curl nor wget nor nc.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
[ $# -gt 1 ] || exit 0
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
read -r -t 4 _ code _ <&3
[ "$code" = 200 ]
