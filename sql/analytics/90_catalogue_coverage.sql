-- title: What the catalogue covers
-- question: What share of each day's plays are of songs in the catalogue?
-- chart: lines
-- x: day (day, UTC)
-- y: share (% of the day's plays)
-- headline: The catalogue covers {total[catalogued]:play} out of {total[plays]}, {ratio[catalogued/plays]:.2f} %.
select
    start_time::date as day,
    count(*) as plays,
    count(song_id) as catalogued,
    100 * count(song_id)::float / count(*) as share
from songplays
where start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
group by start_time::date
order by day
