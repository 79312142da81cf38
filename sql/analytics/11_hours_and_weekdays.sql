-- title: When people listen
-- question: At which hours and on which weekdays do people play the most, per day of that kind?
-- section: Audience
-- chart: heatmap
-- x: hour (hour of the day, UTC)
-- y: weekday (weekday)
-- value: plays_per_day (plays in the hour, per day)
-- with: plays, days, hours
-- rank: plays_per_day
-- headline: {peak[plays_of_weekday][weekday]} is the day with the most plays, {peak[plays_of_weekday][plays_of_weekday]} on average over {peak[plays_of_weekday][days]:day}. The peak is {peak[plays_per_day][weekday]} from {peak[plays_per_day][hour]}:00 UTC, with {peak[plays_per_day][plays_per_day]:play} on average over {peak[plays_per_day][days]:day}.
with weekdays as (
    select
        extract(dow from day)::integer as weekday,
        count(*) as days
    from days
    group by extract(dow from day)
),

counts as (
    select
        extract(dow from day)::integer as weekday,
        extract(hour from start_time)::integer as hour,
        count(*) as plays
    from plays
    group by extract(dow from day), extract(hour from start_time)
)

select
    case weekdays.weekday
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        else 'Sunday'
    end as weekday,
    hours.hour,
    coalesce(counts.plays, 0) as plays,
    weekdays.days,
    coalesce(counts.plays, 0)::float / weekdays.days as plays_per_day,
    sum(coalesce(counts.plays, 0)) over (partition by weekdays.weekday)::float / weekdays.days as plays_of_weekday
from weekdays
cross join hours
left join counts
    on counts.weekday = weekdays.weekday
    and counts.hour = hours.hour
where exists (select 1 from plays)
order by mod(weekdays.weekday + 6, 7), hours.hour
