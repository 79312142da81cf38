-- One row per user id with a NextSong event. Name, gender and level are from the latest event, whenever it was loaded.
create table if not exists users (
    user_id integer not null,       -- number of the listener
    first_name varchar(256),        -- first name
    last_name varchar(256),         -- last name
    gender varchar(16),             -- F or M, as the listener gave it
    level varchar(16),              -- plan as of the latest play, free or paid
    updated_at timestamp not null,  -- time of the latest play, UTC; 1970 if it has an impossible time
    primary key (user_id)
)
-- Small and joined to every play: a copy on every node.
diststyle all
sortkey (user_id);

with plays as (
    select
        *,
        -- a time in another unit, such as the year 50803, would be the user's latest for good: it counts as the oldest
        case when ts < timestamp '2100-01-01' then ts else timestamp 'epoch' end as updated_at
    from events
    where page = 'NextSong' and user_id is not null
),

dated as (
    select
        *,
        max(updated_at) over (partition by user_id) as newest
    from plays
),

-- of the user's latest moment only: to tell all deliveries of history apart costs ten times as much
deliveries as (
    select
        user_id,
        first_name,
        last_name,
        gender,
        level,
        updated_at,
        row_number() over (
            partition by ts, user_id, session_id, item_in_session
            order by batch_id desc, level, location, user_agent, song, artist, length, first_name, last_name, gender
        ) as delivery
    from dated
    where updated_at = newest
),

latest as (
    select
        user_id,
        first_name,
        last_name,
        gender,
        level,
        updated_at,
        row_number() over (
            partition by user_id
            order by first_name, last_name, gender, level
        ) as recency
    from deliveries
    where delivery = 1
)

select
    user_id,
    first_name,
    last_name,
    gender,
    level,
    updated_at
from latest
where recency = 1;

-- The newest moment of each arriving user, unless the user has a newer one; of a user with a time in another unit, all.
select
    arrived.user_id,
    arrived.ts
from (
    select
        user_id,
        max(ts) as ts
    from arrived_events
    where page = 'NextSong' and user_id is not null and ts < timestamp '2100-01-01'
    group by user_id
) as arrived
left join users
    on users.user_id = arrived.user_id
where users.updated_at is null or users.updated_at <= arrived.ts

union all

select
    events.user_id,
    events.ts
from events
where
    events.page = 'NextSong'
    and events.user_id in (
        select arrived_events.user_id
        from arrived_events
        where arrived_events.page = 'NextSong' and arrived_events.ts >= timestamp '2100-01-01'
    );
