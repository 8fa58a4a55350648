#!/usr/bin/env bash
# Makes src/time/zones.txt anew: the name of each time zone, and the rule for its present and future
# (the last line of its file, a POSIX TZ string: RFC 9636 section 3.3). Abbreviations are left out,
# but for an s where that of summer time was.
#
#   crates/cel/zones.sh FOLDER RELEASE > crates/cel/src/time/zones.txt
#
# FOLDER is a compiled time zone database, /usr/share/zoneinfo or the like; RELEASE is its name,
# such as 2026f. Names that only some systems have (posix/, right/, Factory, localtime) are left
# out.
set -euo pipefail
export LC_ALL=C
name='(<[^>]*>|[A-Za-z]+)'
cd "$1"
echo "# tzdata $2"
find -L . -type f ! -path './posix/*' ! -path './right/*' ! -name posixrules ! -name localtime \
	! -name Factory | while read -r file; do
	if [ "$(head -c 4 "$file")" = TZif ]; then
		rule=$(tail -n 1 "$file" | sed -E "s/^$name//; s/^([-+:0-9]+)$name/\1s/")
		printf '%s %s\n' "${file#./}" "$rule"
	fi
done 2>/dev/null | sort
