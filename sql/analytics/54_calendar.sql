-- title: Calendar
-- question: Of which days are there events, and how many?
-- section: Data
-- chart: heatmap
-- x: weekday (weekday, from Monday as 1)
-- y: week (week from)
-- value: events (events of the day)
-- with: days
-- whole: day
-- headline: {first[days]:day} have events, the last of them {first[last_day]}: {first[events_of_last_day]:event}.
with counted as (
    select
        ts::date as day,
        count(*) as events
    from events
    group by ts::date
),

known as (
    select
        days.day,
        counted.events,
        date_trunc('week', days.day)::date as week,
        count(*) over () as days,
        max(days.day) over () as last_day
    from days
    inner join counted
        on counted.day = days.day
)

select
    week,
    datediff(day, week, day) + 1 as weekday,
    day,
    events,
    days,
    last_day,
    sum(case when day = last_day then events else 0 end) over () as events_of_last_day
from known
where day > dateadd(day, -182, last_day)
order by day
