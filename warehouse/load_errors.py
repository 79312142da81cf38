"""The table of rejected records, which both COPYs write."""

KEPT_CHARACTERS = 16_000
"""So much of a rejected value or record is kept in load_errors, at most 64,000 bytes. Where it holds NUL, which no
VARCHAR does, or bytes that are not UTF-8, U+FFFD stands for them."""

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
    loaded_at timestamp not null
)
diststyle even
sortkey (loaded_at)"""
