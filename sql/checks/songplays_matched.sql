-- At least one songplay in a hundred matches a song in the catalogue.
select
    count(*) as count_songplays,
    count(song_id) as count_matched,
    cast(100.0 * count(song_id) / count(*) as decimal(5, 2)) as percent_matched
from songplays
having count(song_id) * 100 < count(*)
