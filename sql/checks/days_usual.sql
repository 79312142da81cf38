-- Each of the last seven whole days has a third to three times the plays of its weekday in the eight weeks before.
with numbers as (
    select 1 as n
    union all
    select 2
    union all
    select 3
    union all
    select 4
    union all
    select 5
    union all
    select 6
    union all
    select 7
    union all
    select 8
),

newest as (
    select date_trunc('day', max(last_event)) as day
    from batches
    where status = 'loaded'
),

days as (
    select
        date_trunc('day', start_time) as day,
        count(*) as plays
    from songplays
    where
        start_time >= (select dateadd(day, -63, newest.day) from newest)
        and start_time < (select newest.day from newest)
    group by date_trunc('day', start_time)
),

first_day as (
    select min(days.day) as day from days
),

tested as (
    select dateadd(day, -numbers.n, newest.day) as day
    from newest
    cross join numbers
    where numbers.n <= 7
),

-- a day without plays counts as one with 0, from the first day on
past as (
    select
        tested.day,
        avg(coalesce(days.plays, 0)::double precision) as usual_plays,
        count(*) as weeks
    from tested
    cross join numbers
    inner join first_day
        on first_day.day <= dateadd(day, -7 * numbers.n, tested.day)
    left join days
        on days.day = dateadd(day, -7 * numbers.n, tested.day)
    group by tested.day
)

select
    past.day,
    coalesce(days.plays, 0) as plays,
    past.usual_plays,
    past.weeks
from past
left join days
    on days.day = past.day
where
    past.weeks >= 3
    and (coalesce(days.plays, 0) * 3 < past.usual_plays or coalesce(days.plays, 0) > past.usual_plays * 3)
