# What the real image does of a first start: a cluster, a user, a database.
set -eu
: "${POSTGRES_PASSWORD:?}" "${POSTGRES_USER:=postgres}" "${PGDATA:=/var/lib/postgresql/data}"
export PGDATA
as=""
mkdir -p "$PGDATA"
if [ "$(id -u)" = 0 ]; then
  as="setpriv --reuid=postgres --regid=postgres --init-groups"
  chown postgres:postgres "$PGDATA"
fi
$as chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" > /tmp/password && chmod 644 /tmp/password
  $as initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 \
    --auth-local=trust --encoding=UTF8 --locale=C
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  $as pg_ctl -w -o "-c listen_addresses='' -k /tmp" start
  $as psql -h /tmp -U "$POSTGRES_USER" -d postgres -c "CREATE DATABASE ${POSTGRES_DB:-$POSTGRES_USER}"
  $as pg_ctl -w -m fast stop
fi
exec $as "$@" -c listen_addresses='*' -k /tmp
