# An etcd in memory, by the same command.
holdfast dev --json >etcd &
trap 'kill $!' EXIT
until [ -s etcd ]; do sleep 0.1; done
HOLDFAST_ENDPOINTS=$(sed 's/.*"endpoint":"\([^"]*\)".*/\1/' etcd)
export HOLDFAST_ENDPOINTS

cat >import.sh <<'SCRIPT'
#!/bin/sh
status=0
holdfast lock nightly-import --try -- touch another || status=$?
echo "$HOLDFAST_NAME: $HOLDFAST_TOKEN, and another got $status" >imported
SCRIPT
chmod +x import.sh

# The snippet.

grep -qE '^nightly-import: [1-9][0-9]+, and another got 75$' imported
[ ! -e another ]
holdfast lock nightly-import --try -- touch another # it is free again
[ -e another ]
