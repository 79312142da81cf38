-- title: Days without events
-- question: On which days between the first and the last is nothing known?
-- section: Data
-- chart: table
-- with: days
-- whole: day
-- headline: No events at all, and so in no average: {total[days_missing]:day}, the first of them {first[first_day]} and the last {last[last_day]}.
-- nothing: Every day from the first to the last has events.
with ordered as (
    select
        day,
        lag(day) over (order by day) as day_before
    from days
)

select
    dateadd(day, 1, day_before)::date as first_day,
    dateadd(day, -1, day)::date as last_day,
    datediff(day, day_before, day) - 1 as days_missing
from ordered
where datediff(day, day_before, day) > 1
order by day
