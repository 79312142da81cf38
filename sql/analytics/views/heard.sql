-- One row per play at a plausible time, with what was played, in the words of the events.
-- filters: level, day
select
    ts,
    ts::date as day,
    user_id,
    level,
    song,
    artist,
    length
from (
    select
        ts,
        user_id,
        level,
        song,
        artist,
        length,
        row_number() over (
            partition by ts, user_id, session_id, item_in_session
            order by batch_id desc, level, location, user_agent, song, artist, length
        ) as delivery
    from events
    where page = 'NextSong' and ts between timestamp '2000-01-01' and dateadd(day, 1, getdate())
) as deliveries
where delivery = 1
