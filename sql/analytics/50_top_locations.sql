-- title: Where listeners are
-- question: Which places play the most music?
-- chart: bars
-- x: plays (plays), listeners (listeners)
-- y: location (location)
-- headline: {first[location]} plays the most: {first[plays]:song}, {first[share]:.1f} % of all, by {first[listeners]:listener}.
select
    location,
    count(*) as plays,
    count(distinct user_id) as listeners,
    100 * count(*)::float / sum(count(*)) over () as share
from songplays
group by location
order by plays desc, location
limit 15
