-- Every day that has events, with its events as they were delivered, and its plays. Times in another unit are left out.
with plays as (
    select
        date_trunc('day', start_time) as day,
        count(*) as plays
    from songplays
    where start_time >= timestamp '2000-01-01' and start_time < dateadd(day, 1, getdate())
    group by date_trunc('day', start_time)
),

days as (
    select
        date_trunc('day', ts) as day,
        count(*) as events
    from events
    where ts >= timestamp '2000-01-01' and ts < dateadd(day, 1, getdate())
    group by date_trunc('day', ts)
)

select
    days.day,
    days.events,
    coalesce(plays.plays, 0) as plays
from days
left join plays
    on plays.day = days.day
order by days.day;
