-- One row per check or audit of a run: what it found. A run without news checks nothing.
create table if not exists check_results (
    batch_id integer not null,         -- newest batch that the tables had taken in
    check_name varchar(128) not null,  -- name of the check or audit
    severity varchar(8) not null,      -- error fails the run, warn does not
    offending_rows bigint not null,    -- rows that break the rule
    run varchar(256) not null,         -- name and id of the run
    began_at timestamp,                -- when the run opened its batch, UTC; null: it takes a batch back
    checked_at timestamp not null,     -- when the checks ended, UTC
    primary key (run, check_name)
)
diststyle all
sortkey (batch_id);
