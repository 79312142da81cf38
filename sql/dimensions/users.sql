-- One row per user id with a NextSong event. Name, gender and level are from the latest event.
create table if not exists users (
    user_id integer not null,
    first_name varchar(256),
    last_name varchar(256),
    gender varchar(16),
    level varchar(16),
    updated_at timestamp not null,
    primary key (user_id)
)
-- Small and joined to every play: a copy on every node.
diststyle all
sortkey (user_id);

with events as (
    select
        user_id,
        first_name,
        last_name,
        gender,
        level,
        -- a time in another unit, such as the year 50803, would be the user's latest for good: it counts as the oldest
        case when ts < timestamp '2100-01-01' then ts else timestamp 'epoch' end as updated_at
    from staging_events
    where page = 'NextSong' and user_id is not null
),

ranked as (
    select
        *,
        row_number() over (
            partition by user_id
            order by updated_at desc, first_name, last_name, gender, level
        ) as recency
    from events
)

select
    user_id,
    first_name,
    last_name,
    gender,
    level,
    updated_at
from ranked
where recency = 1;
