# Completion of gantry for bash, made from the table of commands by `gantry completion`; do not edit.
_gantry() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= files= i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W 'up recorder run runs logs abort restart why prune graph task fires preview pool library transcode render record blobs workers worker events webhook status audit trace backup restore fsck key config version help man completion' -- "$word"))
        return
    fi
    if [ "$command" = task ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'list show create update apply delete trigger pause resume' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = pool ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'list set delete' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = worker ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'drain resume remove' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = webhook ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'create list show update delete ping deliveries redeliver' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = key ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'create list revoke worker process' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = transcode ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'queue skip bump health undo' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = library ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'scan list' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = render ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'analyze submit list show watch download cancel pause resume retry' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = blobs ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'gc' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$command" = record ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=($(compgen -W 'add list remove start stop status coverage save' -- "$word"))
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    # behind -- stands a program of its own
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [ "${COMP_WORDS[i]}" = -- ]; then
            if [ $((i + 1)) -eq "$COMP_CWORD" ]; then COMPREPLY=($(compgen -c -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi
            return
        fi
    done
    case "$command:$before" in
        'run:--name' | 'run:-n') return ;;
        'run:--type' | 'run:-t') return ;;
        'run:--shell' | 'run:-c') return ;;
        'run:--priority' | 'run:-p') words='low normal high critical' ;;
        'run:--timeout') return ;;
        'run:--retries') return ;;
        'run:--env' | 'run:-e') return ;;
        'run:--label' | 'run:-l') return ;;
        'run:--output' | 'run:-o') files=1 ;;
        'run:--cwd' | 'run:-C') files=1 ;;
        'run:--pool') return ;;
        'run:--rate') return ;;
        'run:--run-as') return ;;
        'run:--param' | 'run:-P') return ;;
        'run:--key') return ;;
        'runs:--final') words='true false' ;;
        'runs:--status' | 'runs:-s') words='pending running completed failed aborted' ;;
        'runs:--task') return ;;
        'runs:--worker') return ;;
        'runs:--since') return ;;
        'runs:--until') return ;;
        'runs:--sort') return ;;
        'runs:--order') words='asc desc' ;;
        'runs:--page') return ;;
        'runs:--size') return ;;
        'logs:--service' | 'logs:-s') words='store scheduler gateway worker' ;;
        'logs:--level') words='debug info warn error' ;;
        'logs:--tail' | 'logs:-n') return ;;
        'abort:--status' | 'abort:-s') words='pending running' ;;
        'abort:--task') return ;;
        'abort:--before') return ;;
        'abort:--limit') return ;;
        'abort:--reason') return ;;
        'restart:--status' | 'restart:-s') words='failed completed aborted' ;;
        'restart:--task') return ;;
        'restart:--before') return ;;
        'restart:--limit') return ;;
        'prune:--before') return ;;
        'prune:--status' | 'prune:-s') words='completed failed aborted' ;;
        'prune:--task') return ;;
        'graph:--direction' | 'graph:-d') words='up down both' ;;
        'graph:--depth') return ;;
        'task list:--status' | 'task list:-s') words='active paused completed failed' ;;
        'task list:--type' | 'task list:-t') return ;;
        'task list:--priority' | 'task list:-p') words='low normal high critical' ;;
        'task list:--search') return ;;
        'task list:--tag') return ;;
        'task list:--sort') return ;;
        'task list:--order') words='asc desc' ;;
        'task list:--page') return ;;
        'task list:--size') return ;;
        'task create:--file' | 'task create:-f') files=1 ;;
        'task create:--type' | 'task create:-t') return ;;
        'task create:--shell' | 'task create:-c') return ;;
        'task create:--priority' | 'task create:-p') words='low normal high critical' ;;
        'task create:--timeout') return ;;
        'task create:--retries') return ;;
        'task create:--env' | 'task create:-e') return ;;
        'task create:--label' | 'task create:-l') return ;;
        'task create:--output' | 'task create:-o') files=1 ;;
        'task create:--cwd' | 'task create:-C') files=1 ;;
        'task create:--pool') return ;;
        'task create:--rate') return ;;
        'task create:--run-as') return ;;
        'task create:--executor') words='shell exec python http' ;;
        'task create:--command') return ;;
        'task create:--description' | 'task create:-d') return ;;
        'task create:--schedule' | 'task create:-s') return ;;
        'task create:--depends') return ;;
        'task create:--tag') return ;;
        'task create:--metadata') return ;;
        'task create:--rename') return ;;
        'task update:--file' | 'task update:-f') files=1 ;;
        'task update:--type' | 'task update:-t') return ;;
        'task update:--shell' | 'task update:-c') return ;;
        'task update:--priority' | 'task update:-p') words='low normal high critical' ;;
        'task update:--timeout') return ;;
        'task update:--retries') return ;;
        'task update:--env' | 'task update:-e') return ;;
        'task update:--label' | 'task update:-l') return ;;
        'task update:--output' | 'task update:-o') files=1 ;;
        'task update:--cwd' | 'task update:-C') files=1 ;;
        'task update:--pool') return ;;
        'task update:--rate') return ;;
        'task update:--run-as') return ;;
        'task update:--executor') words='shell exec python http' ;;
        'task update:--command') return ;;
        'task update:--description' | 'task update:-d') return ;;
        'task update:--schedule' | 'task update:-s') return ;;
        'task update:--depends') return ;;
        'task update:--tag') return ;;
        'task update:--metadata') return ;;
        'task update:--rename') return ;;
        'task apply:--file' | 'task apply:-f') files=1 ;;
        'task trigger:--param' | 'task trigger:-P') return ;;
        'task trigger:--priority' | 'task trigger:-p') words='low normal high critical' ;;
        'task trigger:--timeout') return ;;
        'task trigger:--at') return ;;
        'task trigger:--delay') return ;;
        'task trigger:--key') return ;;
        'fires:--count' | 'fires:-n') return ;;
        'fires:--after') return ;;
        'fires:--outcome') words='ran late skipped' ;;
        'fires:--since') return ;;
        'fires:--until') return ;;
        'fires:--sort') return ;;
        'fires:--order') words='asc desc' ;;
        'fires:--page') return ;;
        'fires:--size') return ;;
        'preview:--timezone' | 'preview:-z') return ;;
        'preview:--name') return ;;
        'preview:--count' | 'preview:-n') return ;;
        'preview:--after') return ;;
        'pool list:--sort') return ;;
        'pool list:--order') words='asc desc' ;;
        'pool list:--page') return ;;
        'pool list:--size') return ;;
        'pool set:--limit' | 'pool set:-n') return ;;
        'pool set:--description' | 'pool set:-d') return ;;
        'library list:--status' | 'library list:-s') words='not-needed waiting created running completed failed' ;;
        'library list:--health') words='unchecked healthy damaged' ;;
        'library list:--codec') return ;;
        'library list:--search') return ;;
        'library list:--sort') return ;;
        'library list:--order') words='asc desc' ;;
        'library list:--page') return ;;
        'library list:--size') return ;;
        'transcode undo:--key') return ;;
        'render analyze:--root') files=1 ;;
        'render submit:--frames') return ;;
        'render submit:--test') return ;;
        'render submit:--engine') words='blender maya ue' ;;
        'render submit:--renderer') return ;;
        'render submit:--ram') return ;;
        'render submit:--gpus') return ;;
        'render submit:--map') return ;;
        'render submit:--sequence') return ;;
        'render submit:--preset') return ;;
        'render submit:--priority' | 'render submit:-p') return ;;
        'render submit:--unionid') return ;;
        'render submit:--root') files=1 ;;
        'render submit:--download' | 'render submit:-d') files=1 ;;
        'render list:--status' | 'render list:-s') words='queued testing rendering paused completed failed cancelled' ;;
        'render list:--unionid') return ;;
        'render list:--engine') words='blender maya ue' ;;
        'render list:--sort') return ;;
        'render list:--order') words='asc desc' ;;
        'render list:--page') return ;;
        'render list:--size') return ;;
        'render watch:--download' | 'render watch:-d') files=1 ;;
        'record add:--name' | 'record add:-n') files=1 ;;
        'record add:--duration' | 'record add:-d') return ;;
        'record add:--weight' | 'record add:-w') return ;;
        'record coverage:--days' | 'record coverage:-n') return ;;
        'blobs gc:--grace') return ;;
        'workers:--status' | 'workers:-s') words='active draining offline' ;;
        'workers:--type' | 'workers:-t') return ;;
        'workers:--hostname') return ;;
        'workers:--sort') return ;;
        'workers:--order') words='asc desc' ;;
        'workers:--page') return ;;
        'workers:--size') return ;;
        'events:--type' | 'events:-t') return ;;
        'events:--task') return ;;
        'events:--run' | 'events:-r') return ;;
        'events:--tail' | 'events:-n') return ;;
        'webhook create:--event') return ;;
        'webhook create:--secret') return ;;
        'webhook create:--description' | 'webhook create:-d') return ;;
        'webhook create:--task') return ;;
        'webhook list:--sort') return ;;
        'webhook list:--order') words='asc desc' ;;
        'webhook list:--page') return ;;
        'webhook list:--size') return ;;
        'webhook update:--event') return ;;
        'webhook update:--secret') return ;;
        'webhook update:--description' | 'webhook update:-d') return ;;
        'webhook update:--task') return ;;
        'webhook update:--active') words='true false' ;;
        'webhook deliveries:--status' | 'webhook deliveries:-s') words='pending delivered failed' ;;
        'webhook deliveries:--sort') return ;;
        'webhook deliveries:--order') words='asc desc' ;;
        'webhook deliveries:--page') return ;;
        'webhook deliveries:--size') return ;;
        'audit:--who' | 'audit:-w') return ;;
        'audit:--method' | 'audit:-m') words='POST PUT DELETE PATCH' ;;
        'audit:--path') return ;;
        'audit:--since') return ;;
        'audit:--until') return ;;
        'audit:--order') words='asc desc' ;;
        'audit:--page') return ;;
        'audit:--size') return ;;
        'trace:--type' | 'trace:-t') return ;;
        'trace:--run' | 'trace:-r') return ;;
        'trace:--service' | 'trace:-s') words='store scheduler gateway worker' ;;
        'trace:--count' | 'trace:-n') return ;;
        'backup:--keep') return ;;
        'backup:--grow-mb') return ;;
        'key create:--role') words='admin user worker readonly' ;;
        'key create:--name' | 'key create:-n') return ;;
        'key create:--expires') return ;;
        'key create:--rate') return ;;
        'key worker:--public-key') return ;;
        'key worker:--out') files=1 ;;
        'key process:--public-key') return ;;
        'key process:--out') files=1 ;;
    esac
    if [ -n "$files" ]; then
        COMPREPLY=($(compgen -f -- "$word"))
        return
    fi
    if [ -z "$words" ]; then
        case "$command" in
        'up') words='--json --help --config --data --log-level --bus-store --bus-scheduler --bus-workers --bus-doorbell --bus-curve --bus-curve-dir --bus-clients --bus-deadline-ms --host --port --render-port --recorder-port --insecure --http-hosts --http-origins --http-body-kb --http-memory-mb --http-connections --http-idle-seconds --http-request-seconds --http-rate-per-minute --http-rate-burst --http-tls-cert --http-tls-key --auth-required --auth-keys-file --auth-jwt-keys --auth-jwt-audience --auth-trusted-networks --output --library --library-scan-minutes --library-videos-max --transcode-save --recorder-config --recorder-folders --recorder-cycles-max --recorder-recordings-max --recorder-keep-days --recorder-keep-gb --recorder-min-free-mb --recorder-free-gb --transcode-offline-seconds --transcode-offline-old-seconds --transcode-report-seconds --transcode-first-report-seconds --transcode-attempts --transcode-tasks-max --transcode-logs-max --transcode-segment-minutes --render-hardware --render-attempts --render-tasks-max --render-frame-seconds --render-rest-seconds --scene-root --blob-dir --blob-s3-url --blob-s3-bucket --blob-s3-prefix --blob-s3-region --blob-s3-key-file --blob-s3-part-mb --blob-s3-silence-seconds --blob-max-gb --blob-keep-days --blob-expire-hours --render-output --store-map-gb --store-ballast-mb --store-redo-mb --store-query-rows --store-log-lines --runs-keep-days --runs-keep-max --store-log-kb --store-syslog-mb --store-syslog-days --audit-enabled --audit-max --audit-days --lease-seconds --lease-accept-seconds --lease-heartbeat-ms --lease-losses --queue-lift-seconds --queue-max --queue-mb --tasks-max --workers-max --workers-days --retry-base-ms --retry-cap-ms --keys-max --keys-hours --events-max --webhooks-max --webhooks-retry-ms --webhooks-keep --webhooks-keep-days --webhooks-pending --webhooks-timeout-seconds --webhooks-deny-networks --cron-fires-max --cron-fires-days --worker-name --worker-types --worker-slots --worker-labels --worker-grace-seconds --worker-drain-seconds --worker-log-kb --worker-gateway --worker-gateway-key --worker-gateway-ca --worker-run-as --library-extensions --library-vr --library-probes --transcode-rules --transcode-prefix --transcode-encoders --transcode-codec --transcode-vr --transcode-slots --transcode-crf --transcode-preset --transcode-rate --transcode-threads --transcode-pools --transcode-hardware-decode --transcode-tmp --transcode-keep-days --transcode-remove-original --transcode-hours --transcode-count --transcode-verify --transcode-stall-seconds --render-blender --render-maya --render-ue --render-chunk --render-keep-seconds --worker-render-engines --worker-render-plugins --worker-render-ram-gb --worker-render-gpus --worker-render-cache-gb --worker-render-threads --workers --url --key-file --ca ' ;;
        'recorder') words='--json --help --url --key-file --ca --data' ;;
        'run') words='--wait --name --type --shell --priority --timeout --retries --env --label --output --cwd --pool --rate --run-as --param --key --json --help --url --key-file --ca --data' ;;
        'runs') words='--failed --final --status --task --worker --since --until --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'logs') words='--system --service --level --follow --tail --times --json --help --url --key-file --ca --data' ;;
        'abort') words='--pending --status --task --before --limit --reason --json --help --url --key-file --ca --data' ;;
        'restart') words='--failed --status --task --before --limit --json --help --url --key-file --ca --data' ;;
        'why') words='--json --help --url --key-file --ca --data' ;;
        'prune') words='--before --status --task --json --help --url --key-file --ca --data' ;;
        'graph') words='--direction --depth --dot --json --help --url --key-file --ca --data' ;;
        'task list') words='--status --type --priority --search --tag --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'task show') words='--json --help --url --key-file --ca --data' ;;
        'task create') words='--file --type --shell --priority --timeout --retries --env --label --output --cwd --pool --rate --run-as --executor --command --description --schedule --depends --tag --metadata --rename --json --help --url --key-file --ca --data' ;;
        'task update') words='--file --type --shell --priority --timeout --retries --env --label --output --cwd --pool --rate --run-as --executor --command --description --schedule --depends --tag --metadata --rename --json --help --url --key-file --ca --data' ;;
        'task apply') words='--file --json --help --url --key-file --ca --data' ;;
        'task delete') words='--force --json --help --url --key-file --ca --data' ;;
        'task trigger') words='--wait --param --priority --timeout --at --delay --key --json --help --url --key-file --ca --data' ;;
        'task pause') words='--json --help --url --key-file --ca --data' ;;
        'task resume') words='--json --help --url --key-file --ca --data' ;;
        'fires') words='--next --count --after --outcome --since --until --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'preview') words='--timezone --name --count --after --json --help --url --key-file --ca --data' ;;
        'pool list') words='--sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'pool set') words='--limit --description --json --help --url --key-file --ca --data' ;;
        'pool delete') words='--json --help --url --key-file --ca --data' ;;
        'library scan') words='--json --help --url --key-file --ca --data' ;;
        'library list') words='--status --health --codec --vr --search --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'transcode queue') words='--json --help --url --key-file --ca --data' ;;
        'transcode skip') words='--json --help --url --key-file --ca --data' ;;
        'transcode bump') words='--json --help --url --key-file --ca --data' ;;
        'transcode health') words='--all --unchecked --stop --wait --json --help --url --key-file --ca --data' ;;
        'transcode undo') words='--wait --key --json --help --url --key-file --ca --data' ;;
        'render analyze') words='--missing --root --json --help --url --key-file --ca --data' ;;
        'render submit') words='--frames --test --stop-after-test --engine --renderer --ram --gpus --map --sequence --preset --priority --unionid --root --allow-missing --no-missing --watch --download --force --json --help --url --key-file --ca --data' ;;
        'render list') words='--status --unionid --engine --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'render show') words='--json --help --url --key-file --ca --data' ;;
        'render watch') words='--force --download --json --help --url --key-file --ca --data' ;;
        'render download') words='--force --json --help --url --key-file --ca --data' ;;
        'render cancel') words='--json --help --url --key-file --ca --data' ;;
        'render pause') words='--json --help --url --key-file --ca --data' ;;
        'render resume') words='--json --help --url --key-file --ca --data' ;;
        'render retry') words='--json --help --url --key-file --ca --data' ;;
        'record add') words='--name --duration --weight --json --help --url --key-file --ca --data' ;;
        'record list') words='--json --help --url --key-file --ca --data' ;;
        'record remove') words='--json --help --url --key-file --ca --data' ;;
        'record start') words='--json --help --url --key-file --ca --data' ;;
        'record stop') words='--json --help --url --key-file --ca --data' ;;
        'record status') words='--watch --json --help --url --key-file --ca --data' ;;
        'record coverage') words='--days --gaps --json --help --url --key-file --ca --data' ;;
        'record save') words='--json --help --url --key-file --ca --data' ;;
        'blobs gc') words='--dry-run --grace --json --help --url --key-file --ca --data' ;;
        'workers') words='--status --type --hostname --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'worker drain') words='--json --help --url --key-file --ca --data' ;;
        'worker resume') words='--json --help --url --key-file --ca --data' ;;
        'worker remove') words='--force --json --help --url --key-file --ca --data' ;;
        'events') words='--type --task --run --follow --tail --json --help --url --key-file --ca --data' ;;
        'webhook create') words='--event --secret --description --task --json --help --url --key-file --ca --data' ;;
        'webhook list') words='--sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'webhook show') words='--json --help --url --key-file --ca --data' ;;
        'webhook update') words='--event --secret --description --task --active --json --help --url --key-file --ca --data' ;;
        'webhook delete') words='--json --help --url --key-file --ca --data' ;;
        'webhook ping') words='--json --help --url --key-file --ca --data' ;;
        'webhook deliveries') words='--status --sort --order --page --size --json --help --url --key-file --ca --data' ;;
        'webhook redeliver') words='--json --help --url --key-file --ca --data' ;;
        'status') words='--json --help --url --key-file --ca --data' ;;
        'audit') words='--who --method --path --since --until --order --page --size --json --help --url --key-file --ca --data' ;;
        'trace') words='--type --run --service --count --json --help --url --key-file --ca --data' ;;
        'backup') words='--keep --grow-mb --json --help --url --key-file --ca --data' ;;
        'restore') words='--repair --json --help --url --key-file --ca --data' ;;
        'fsck') words='--repair --json --help --url --key-file --ca --data' ;;
        'key create') words='--role --name --expires --rate --json --help --url --key-file --ca --data' ;;
        'key list') words='--json --help --url --key-file --ca --data' ;;
        'key revoke') words='--json --help --url --key-file --ca --data' ;;
        'key worker') words='--public-key --out --json --help --url --key-file --ca --data' ;;
        'key process') words='--public-key --out --json --help --url --key-file --ca --data' ;;
        'config') words='--explain --markdown --json --help --url --key-file --ca --data' ;;
        'version') words='--json --help --url --key-file --ca --data' ;;
        'help') words='--json --help up recorder run runs logs abort restart why prune graph task fires preview pool library transcode render record blobs workers worker events webhook status audit trace backup restore fsck key config version help man completion' ;;
        'man') words='--json --help --url --key-file --ca --data' ;;
        'completion') words='--json --help --url --key-file --ca --data' ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _gantry gantry
