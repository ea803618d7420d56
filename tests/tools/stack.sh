# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced: nginx with the module and voiced, in one directory, for demo.sh and
# run.sh. The configuration is conf/'s own, with this machine's paths.

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$tree/build
nginx=${VOICE_NGINX:-$(PATH=$PATH:/usr/sbin:/sbin command -v nginx)}
stack_nginx_pid=
stack_voiced_pid=

# stack_port_is_free PORT
stack_port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

stack_free_port() {
    local port
    for _ in $(seq 100); do
        port=$((18000 + RANDOM % 12000))
        stack_port_is_free $port && { echo $port; return 0; }
    done
    echo "no free port" >&2
    return 1
}

stack_certificate() {   # DIR: cert.pem and key.pem, kept when they are there
    [ -f "$1/cert.pem" ] && [ -f "$1/key.pem" ] &&
        openssl x509 -checkend 86400 -noout -in "$1/cert.pem" >/dev/null 2>&1 &&
        return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$1/key.pem" -out "$1/cert.pem" -days 365 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        >"$1/openssl.log" 2>&1 || { cat "$1/openssl.log" >&2; return 1; }
}

# stack_prepare DIR HTTP_PORT HTTPS_PORT
stack_prepare() {
    local dir=$1 http=$2 https=$3 name
    mkdir -p "$dir/logs" "$dir/modules" "$dir/tmp"
    stack_certificate "$dir" || return 1
    # A unix socket's path has at most 107 characters.
    stack_sockets=$dir
    [ ${#dir} -gt 80 ] && stack_sockets=$(mktemp -d)
    ln -sfn "$build/nginx/ngx_http_voice_module.so" "$dir/modules/ngx_http_voice_module.so"
    cp "$tree/conf/voice.conf" "$tree/conf/voice_params" "$dir/"
    for name in mime.types fastcgi_params; do
        cp "/etc/nginx/$name" "$dir/" || return 1
    done
    sed -e "s|unix:/run/voiced/voiced.sock|unix:$stack_sockets/voiced.sock|" \
        -e "s|127.0.0.1:8080|127.0.0.1:$http|" \
        -e "s|127.0.0.1:8443|127.0.0.1:$https|" \
        -e "s|^http {|http {\n    client_body_temp_path tmp/body;\n    proxy_temp_path tmp/proxy;\n    fastcgi_temp_path tmp/fastcgi;\n    uwsgi_temp_path tmp/uwsgi;\n    scgi_temp_path tmp/scgi;|" \
        "$tree/conf/nginx.conf" >"$dir/nginx.conf"
    cat >"$dir/voiced.conf" <<TXT
# For this machine's loopback alone: nobody is asked for a key.
pid_file = "$dir/voiced.pid"
control = "$stack_sockets/control.sock"
listen { unix = "$stack_sockets/voiced.sock" }
auth { mode = none }
TXT
}

# Waits until the command succeeds: stack_wait SECONDS WHAT COMMAND…
stack_wait() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "gave up waiting for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

stack_alive() { kill -0 "$1" 2>/dev/null; }

# stack_start DIR HTTPS_PORT
stack_start() {
    local dir=$1 user= preload
    # Workers of a master that is root would be nobody, who may not connect.
    [ "$(id -u)" = 0 ] && user='user root;'
    "$build/voiced" -c "$dir/voiced.conf" >>"$dir/logs/voiced.log" 2>&1 &
    stack_voiced_pid=$!
    stack_wait 20 "voiced (log: $dir/logs/voiced.log)" \
        "$build/voicectl" -c "$dir/voiced.conf" status ||
        { tail -n 20 "$dir/logs/voiced.log" >&2; return 1; }
    # The stock NGINX brings no sanitizer runtime to load our module with.
    preload=
    nm -D "$build/nginx/ngx_http_voice_module.so" 2>/dev/null |
        grep -q __asan_init && preload=$(cc -print-file-name=libasan.so)
    ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} LD_PRELOAD=$preload \
        "$nginx" -p "$dir" -c "$dir/nginx.conf" -e "$dir/logs/error.log" \
        -g "daemon off; $user" >>"$dir/logs/nginx.log" 2>&1 &
    stack_nginx_pid=$!
    stack_wait 20 "nginx (log: $dir/logs/error.log)" stack_nginx_listens "$2" ||
        { tail -n 20 "$dir/logs/nginx.log" "$dir/logs/error.log" >&2; return 1; }
}

stack_nginx_listens() {
    stack_alive "$stack_nginx_pid" || return 1
    ! stack_port_is_free "$1"
}

stack_stop() {
    local pid
    for pid in $stack_nginx_pid $stack_voiced_pid; do
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    stack_nginx_pid= stack_voiced_pid=
}
