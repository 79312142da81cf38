-- One row per record of the event logs that was ever loaded, as delivered, and the batch that brought it.
create table if not exists events (
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
    user_id integer,
    batch_id integer not null
)
-- Loads find events by time, and follow a user's events (stored on one slice).
distkey (user_id)
sortkey (ts);
