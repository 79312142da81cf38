-- title: When people listen
-- question: At which hours and on which weekdays do people play music?
-- chart: heatmap
-- x: hour (hour of the day, UTC)
-- y: weekday (weekday)
-- value: plays (plays)
-- headline: Most plays fell on a {peak[plays][weekday]} in the hour from {peak[plays][hour]}:00 UTC: {peak[plays][plays]} in all.
select
    case time.weekday
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        else 'Sunday'
    end as weekday,
    time.hour,
    count(*) as plays
from songplays
inner join time
    on time.start_time = songplays.start_time
group by time.weekday, time.hour
order by mod(time.weekday + 6, 7), time.hour
