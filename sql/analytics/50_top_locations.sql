-- title: Where listeners are
-- question: Which places play most music?
-- chart: bars
-- x: plays (plays), listeners (listeners)
-- y: location (location)
-- finding: {first[location]} plays most: {first[plays]:song}, {first[share]:.1f} % of all, by {first[listeners]:listener}.
select
    location,
    count(*) as plays,
    count(distinct user_id) as listeners,
    100 * count(*)::float / sum(count(*)) over () as share
from songplays
group by location
order by plays desc, location
limit 15
