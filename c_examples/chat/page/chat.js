// The page. Everything that people write becomes text, never HTML.

const $ = (id) => document.getElementById(id);
const say = $('say');

/** Posts a form and returns the response. Throws the error of the server, with its `status` and, if known, its `delivery`. */
async function post(path, fields = {}) {
  const response = await fetch(path, { method: 'POST', body: new URLSearchParams(fields) });
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(answer.error), answer, { status: response.status });
  return answer;
}

/** Runs `work` when `form` is submitted, one run at a time, and shows an error below the form. */
function onSubmit(form, work, explain = (error) => error.message) {
  const button = form.querySelector('button'),
    error = form.querySelector('.error');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = '';
    try {
      await work();
    } catch (problem) {
      error.textContent = explain(problem);
    }
    button.disabled = false;
  });
}

const clone = (template) => $(template).content.firstElementChild.cloneNode(true);

/** Returns the initial of a person, on that person's colour. */
function paint(face, { id, name }) {
  face.textContent = Array.from(name)[0];
  face.style.setProperty('--hue', parseInt(id.slice(0, 6), 16) % 360);
}

function setTime(element, at) {
  const date = new Date(at);
  element.dateTime = date.toISOString();
  element.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

let noticeTimer;
function notice(text) {
  clearTimeout(noticeTimer);
  $('notice').textContent = text;
  $('notice').hidden = false;
  noticeTimer = setTimeout(() => {
    $('notice').hidden = true;
  }, 6000);
}

/** Keeps the last 200 items of a list, and scrolls to the newest. */
function append(list, item, first = false) {
  if (first) list.prepend(item);
  else list.append(item);
  while (list.children.length > 200) (first ? list.lastChild : list.firstChild).remove();
  if (!first) list.scrollTop = list.scrollHeight;
}

function enter({ user, presence, talk, pusher: { key, cluster, host, port, tls } }) {
  $('door').hidden = true;
  $('room').hidden = false;
  $('me').textContent = user.name;
  $('text').focus();

  const pusher = new Pusher(key, {
    cluster,
    ...(host && { wsHost: host, wsPort: port, wssPort: port, forceTLS: tls }),
    enabledTransports: ['ws', 'wss'],
    disableStats: true,
    userAuthentication: { endpoint: '/pusher/user-auth' },
    channelAuthorization: { endpoint: '/pusher/auth' },
  });
  pusher.connection.bind('state_change', ({ current }) => {
    $('connection').dataset.state = current;
    $('connection').textContent = current;
  });
  pusher.signin();
  pusher.user.bind('wave', ({ name }) => notice(`${name} waves to you 👋`));

  const members = pusher.subscribe(presence);
  const showMembers = () => {
    const items = [];
    members.members.each(({ id, info: { name } }) => {
      const item = clone('member');
      paint(item.querySelector('.face'), { id, name });
      item.querySelector('bdi').textContent = name;
      const button = item.querySelector('button');
      button.hidden = id === user.id;
      button.setAttribute('aria-label', `Wave to ${name}`);
      button.addEventListener('click', () => post('/wave', { to: id }).catch((error) => notice(error.message)));
      items.push(item);
    });
    $('members').replaceChildren(...items);
    $('count').textContent = items.length;
  };
  for (const event of ['pusher:subscription_succeeded', 'pusher:member_added', 'pusher:member_removed']) {
    members.bind(event, showMembers);
  }

  const room = pusher.subscribe(talk);
  for (const channel of [members, room]) {
    channel.bind('pusher:subscription_error', () =>
      notice('Subscription refused: your session may be over. Reload the page.'),
    );
  }
  room.bind('message', (message) => {
    const item = clone('message');
    item.classList.toggle('mine', message.id === user.id);
    paint(item.querySelector('.face'), message);
    item.querySelector('bdi').textContent = message.name;
    setTime(item.querySelector('time'), message.at);
    item.querySelector('.text').textContent = message.text;
    append($('messages'), item);
  });
  // An event of an authentic webhook.
  room.bind('member', ({ webhook, name, at }) => {
    const item = clone('webhook');
    item.classList.add(webhook);
    item.querySelector('code').textContent = webhook;
    item.querySelector('bdi').textContent = name;
    item.querySelector('span').textContent = webhook === 'member_added' ? 'came in' : 'left';
    setTime(item.querySelector('time'), at);
    append($('webhooks'), item, true);
  });

  onSubmit(
    say,
    async () => {
      await post('/say', { text: $('text').value });
      say.reset();
      $('text').focus();
    },
    ({ message, status, delivery }) => {
      // libpusher reports the delivery. Without a report, only a refusal by the chat server itself is certain.
      const sure = delivery ? delivery !== 'unknown' : status < 500;
      return `${sure ? 'Not sent' : 'It may have been sent'}: ${message}`;
    },
  );

  $('sign-out').addEventListener('click', async () => {
    await post('/sign-out').catch(() => {});
    pusher.disconnect();
    location.reload();
  });
}

onSubmit($('sign-in'), async () => enter(await post('/sign-in', { name: $('name').value.trim() })));

const session = await (await fetch('/session')).json();
if (session.user) enter(session);
else $('door').hidden = false;
