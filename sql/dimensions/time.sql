-- One row per distinct start_time of a songplay, in UTC.
create table if not exists time (
    start_time timestamp not null,  -- start of a play, UTC, to the millisecond
    hour smallint not null,         -- hour, 0-23
    day smallint not null,          -- day of the month, 1-31
    week smallint not null,         -- ISO week, 1-53
    month smallint not null,        -- month, 1-12
    year integer not null,          -- year
    weekday smallint not null,      -- weekday, 0-6 from Sunday
    primary key (start_time)
)
-- Nearly as many rows as songplays, and read by the same spans of time.
diststyle even
sortkey (start_time);

with moments as (
    select distinct ts as start_time
    from events
    where page = 'NextSong'
)

select
    start_time,
    extract(hour from start_time) as hour,
    extract(day from start_time) as day,
    extract(week from start_time) as week,
    extract(month from start_time) as month,
    extract(year from start_time) as year,
    extract(dow from start_time) as weekday
from moments;

-- The moments of arriving plays.
select
    ts,
    ts as start_time
from arrived_events
where page = 'NextSong';
