"""The table of rejected records, which both COPYs write."""

KEPT_CHARACTERS = 16_000
"""How much of a rejected value or record load_errors keeps, at most 64,000 bytes. U+FFFD replaces NUL, which a VARCHAR
cannot hold, and bytes that are not UTF-8."""

LOAD_ERRORS_DDL = """\
create table if not exists load_errors (
    load varchar(128) not null,
    file varchar(2048) not null,
    line bigint,
    "column" varchar(128),
    value varchar(65535),
    code integer,
    message varchar(1024),
    raw_record varchar(65535),
    loaded_at timestamp not null,
    batch_id integer
)
diststyle even
sortkey (loaded_at)"""
