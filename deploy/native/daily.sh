#!/bin/sh
# daily.sh COMMAND…: runs it a day from now and ends; supervisord starts it again, for the next day.
trap 'kill "$!"; exit 0' TERM
sleep 86400 &
wait "$!"
exec "$@"
