-- One row per event in the logs of the current run, as delivered.
create table if not exists staging_events (
    artist varchar(1024),
    auth varchar(16),
    first_name varchar(256),
    gender varchar(16),
    item_in_session integer,
    last_name varchar(256),
    length decimal(10, 5),
    level varchar(16),
    location varchar(1024),
    method varchar(16),
    page varchar(64),
    registration double precision,
    session_id integer,
    song varchar(1024),
    status integer,
    ts timestamp not null,
    user_agent varchar(1024),
    user_id integer
)
-- Read once, in full, then deleted: no sort order helps, and even distribution keeps every slice busy.
diststyle even;
