-- title: What the catalogue covers
-- question: What share of each day's plays are of songs in the catalogue?
-- section: Catalogue
-- chart: lines
-- x: day (day, UTC)
-- y: percent_catalogued (% of the day's plays)
-- with: plays
-- headline: The catalogue has the song of {total[catalogued]:play} out of {total[plays]}, {ratio[catalogued/plays]} %.
select
    day,
    count(*) as plays,
    count(song_id) as catalogued,
    100 * count(song_id)::float / count(*) as percent_catalogued
from plays
group by day
order by day
